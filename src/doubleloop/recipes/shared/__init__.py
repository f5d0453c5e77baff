"""What all training components do alike: read tables, refuse bad data, evaluate, write MLflow models."""
