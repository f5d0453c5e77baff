"""The installation as code: what a setup file says, what there is, and the steps from one to the other."""
