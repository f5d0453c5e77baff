"""Classification and regression on tables, with scikit-learn."""
