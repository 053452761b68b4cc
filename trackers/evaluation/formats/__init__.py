"""Results as other toolkits leave them, one module a format: read, and written.

    layout   which files are there: of which tracker, sequence and run
    boxes    a box a line: OTB, GOT-10k, LaSOT, UAV123, pysot
    vot      VOT's trajectories: regions, and codes where there is none
    mat      what a .mat file holds
    otb      records of the OTB toolkits: .mat and .json, boxes and affine parameters

Coordinates are those of the benchmark's own files: its sequences know where these begin to count (`origin`).
"""
