"""Network dissection: what the places where a unit is most active have in common."""
