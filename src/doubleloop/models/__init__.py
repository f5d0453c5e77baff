"""Model versions: what a name and number stand for, byte for byte, who made them, and which one is champion where."""
