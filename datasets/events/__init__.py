"""Events as tables of observables."""
