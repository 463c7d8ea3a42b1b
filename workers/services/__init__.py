"""What runs inside the workers of the bridges: plain functions and, around them, services with typed methods."""
