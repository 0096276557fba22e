"""`python -m cycseq`."""

from cycseq.cli import main

raise SystemExit(main())
