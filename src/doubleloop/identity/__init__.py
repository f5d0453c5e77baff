"""Who may do what: users, tokens, groups with a persona, one alphabetical list of actions, default deny."""
