// This file lets functions have no body that are linked by name.
