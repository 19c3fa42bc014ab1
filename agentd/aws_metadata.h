/*
 * Temporary keys that AWS hands to what runs there: to a container by an URL
 * in its environment, to an instance by the metadata service (IMDSv2). Both
 * are sources of a credential (agentd/token.h) whose secret is
 * aws_keys_pack()'s.
 */
#ifndef AGENTD_AWS_METADATA_H
#define AGENTD_AWS_METADATA_H

#include "agentd/token.h"

/* Does the environment name a container's server? */
bool aws_is_container(void);
/*
 * AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI. The latter is taken
 * only encrypted or on this machine's link, because a token is sent there.
 * false: it is neither; then *why.
 */
bool aws_check_container(const char **why);

struct credential *aws_container_new(const struct credential_options *);
/* AWS_EC2_METADATA_SERVICE_ENDPOINT, else the well-known address. */
struct credential *aws_instance_new(const struct credential_options *);

#endif
