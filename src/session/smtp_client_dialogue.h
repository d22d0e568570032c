/*
 * The dialogue of the SMTP client: for the table in smtp_client.c, what each
 * state sends on entering it and what a reply means in it.
 */
#ifndef SESSION_SMTP_CLIENT_DIALOGUE_H
#define SESSION_SMTP_CLIENT_DIALOGUE_H

struct smtp_client;

/* ---- smtp_client_login.c: up to READY, and QUIT ---- */

void smtp_client_reply_greeting(struct smtp_client *c);
void smtp_client_enter_ehlo(struct smtp_client *c);
void smtp_client_reply_ehlo(struct smtp_client *c);
void smtp_client_enter_starttls(struct smtp_client *c);
void smtp_client_reply_starttls(struct smtp_client *c);
void smtp_client_enter_handshake(struct smtp_client *c);
void smtp_client_enter_auth(struct smtp_client *c);
void smtp_client_reply_auth(struct smtp_client *c);
void smtp_client_enter_auth_token(struct smtp_client *c);
void smtp_client_reply_auth_token(struct smtp_client *c);
void smtp_client_enter_auth_password(struct smtp_client *c);
void smtp_client_reply_auth_password(struct smtp_client *c);
void smtp_client_enter_auth_dummy(struct smtp_client *c);
void smtp_client_reply_auth_dummy(struct smtp_client *c);
void smtp_client_enter_quit(struct smtp_client *c);
void smtp_client_reply_quit(struct smtp_client *c);

/* ---- smtp_client_mail.c: one transaction ---- */

void smtp_client_enter_unsendable(struct smtp_client *c);
void smtp_client_enter_rset(struct smtp_client *c);
void smtp_client_reply_rset(struct smtp_client *c);
void smtp_client_enter_mail(struct smtp_client *c);
void smtp_client_reply_mail(struct smtp_client *c);
void smtp_client_enter_rcpt(struct smtp_client *c);
void smtp_client_reply_rcpt(struct smtp_client *c);
void smtp_client_enter_data(struct smtp_client *c);
void smtp_client_reply_data(struct smtp_client *c);
void smtp_client_enter_lone_dot(struct smtp_client *c);
void smtp_client_reply_lone_dot(struct smtp_client *c);
void smtp_client_enter_body(struct smtp_client *c);
void smtp_client_reply_body(struct smtp_client *c);
void smtp_client_enter_final(struct smtp_client *c);
void smtp_client_reply_final(struct smtp_client *c);

#endif
