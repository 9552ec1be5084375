"""The client's methods as ones that block, for scripts and notebooks; one module for each noun is generated."""
