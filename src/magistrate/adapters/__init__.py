"""Everything with a socket, a disk or a clock. Siblings do not import each other."""
