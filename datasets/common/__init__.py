"""Support of the datasets: the store of files and the types that tasks and models share."""
