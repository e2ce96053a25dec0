import pytest


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compile networks once for each shape, and without effort: for tests that are about law and order, not speed."""
    jax = pytest.importorskip("jax")
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        "jax_disable_most_optimizations": True,
    }
    before = {name: jax.config.values[name] for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
