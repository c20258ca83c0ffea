"""What a gate says, in the formats that CI reads."""
