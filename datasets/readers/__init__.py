"""Arrays and tables in files that cannot be trusted: MATLAB, HDF5, NumPy, Parquet, CSV."""
