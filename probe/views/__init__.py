"""Tables, figures and pages of results, with the paper's numbers beside ours."""
