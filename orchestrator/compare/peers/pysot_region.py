# mypy: ignore-errors
"""Builds the region extension of pysot, where it lies; see this package.

python pysot_region.py FOLDER_OF_REGION_PYX
"""

import json
import os
import sys
from pathlib import Path

from Cython import __version__
from Cython.Build import cythonize
from setuptools import Extension, setup

os.chdir(sys.argv[1])
sys.stdout = sys.stderr
sources = ["region.pyx", *sorted(map(str, Path("src").glob("*.c")))]
extension = Extension("region", sources, include_dirs=[".", "src"])
modules = cythonize(extension, include_path=["."], language_level=2)  # it imports c_region as Python 2 did
setup(name="region", packages=[], py_modules=[], ext_modules=modules, script_args=["build_ext", "--inplace"])
print(json.dumps({"cython": __version__}), file=sys.__stdout__)
