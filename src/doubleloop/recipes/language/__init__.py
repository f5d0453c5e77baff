"""Language: classes and tags of texts, entities, phrases, summaries, answers, and texts made ready for all of them."""
