"""`python -m roomtone` is the `roomtone` command."""

from roomtone.app.main import main

if __name__ == "__main__":
    main()
