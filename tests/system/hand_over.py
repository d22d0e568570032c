"""Starts a program as systemd does with listening sockets.

HELD="5 6" hand_over.py NAME:NAME PROGRAM ARGUMENT...
"""
import fcntl
import os
import sys

held = [int(n) for n in os.environ.pop('HELD').split()]
# Out of the way first: the places 3, 4... may be taken.
held = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in held]
for place, fd in enumerate(held, 3):
    os.dup2(fd, place)
os.closerange(3 + len(held), 200)
os.environ.update(LISTEN_FDS=str(len(held)), LISTEN_PID=str(os.getpid()),
                  LISTEN_FDNAMES=sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
