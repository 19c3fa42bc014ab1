# One line a test: test_X links exactly these files of the project.
