/*
 * What a role may open by path once it has set up. Workers and the admin
 * role run under the same user as billing, whose files (the books) are none
 * of their business: Landlock takes them away. Descriptors that they were
 * born with are not touched.
 */
#ifndef HUBD_CONFINE_H
#define HUBD_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * From now on this process opens nothing in the file system but files in the
 * folders of these paths (logs that are opened anew), for ever. A path may be
 * NULL. false with errno: the kernel cannot (ENOSYS, EOPNOTSUPP) or did not;
 * then nothing has changed.
 */
bool confine_to(const char *const *paths, size_t n);

#endif
