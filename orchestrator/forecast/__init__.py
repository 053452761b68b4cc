"""What a run will take, before it starts: from what earlier runs took, or a short calibration, and a simulation."""
