"""What benchmarks/fuzz.py is made of: mutations, readers, and the worker that runs them."""
