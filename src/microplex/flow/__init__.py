"""The conditional flow: codes, masked network, laws inside the codes, training. Arrays only."""
