/* Telling the supervisor that started us, as sd_notify(3) does. */
#ifndef COMMON_NOTIFY_H
#define COMMON_NOTIFY_H

/*
 * Sends a text ("READY=1") to the socket that $NOTIFY_SOCKET names; without
 * one, nothing. Never waits; a failure is logged and of no other consequence.
 */
void notify_supervisor(const char *text);

#endif
