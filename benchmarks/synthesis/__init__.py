"""Conditional synthesis: microplex, its public peers and null methods, each beside the noise floor."""
