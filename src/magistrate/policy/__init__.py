"""Bundle, validation, decision, explanation: Cedar decides, we compute facts."""
