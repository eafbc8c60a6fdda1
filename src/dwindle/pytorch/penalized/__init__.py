"""The sum of squares of a penalty, and weights that decay twice."""
