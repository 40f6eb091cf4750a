//! Nothing: the examples and the tests of this package are what it is for.
