"""Uses masks: scores every unit of a network against every salient region."""
