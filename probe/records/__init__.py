"""What ``run.json`` and ``train.json`` hold, typed; read and written nowhere else."""
