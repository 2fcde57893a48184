"""`python -m automl_flowers`."""

from automl_flowers.cli import main

main()
