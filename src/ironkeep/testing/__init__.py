"""What the tests and the demo run on: ports in memory, real servers, contract suites."""
