"""The web app: doors for people who got a mail, hooks for programs that report. No session, no cookie."""
