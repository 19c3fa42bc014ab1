/* hubd: the command line, or the role that the master started this for. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hubd/child.h"
#include "hubd/master/master.h"

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: hubd [-dmnvV] [-f file] [-u contract]\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	struct master_options o = {.path = "/etc/hubd/hubd.conf", .argv = argv};
	bool check = false, move = false;
	int c;

	if (child_is_role(argc, argv))
		child_run(argv);
	while ((c = getopt(argc, argv, "df:mnu:vV")) != -1) {
		switch (c) {
		case 'd':
			o.foreground = true;
			break;
		case 'f':
			o.path = optarg;
			break;
		case 'm':
			move = true;
			break;
		case 'n':
			check = true;
			break;
		case 'u':
			o.asked = optarg;
			check = true;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'V':
			printf("hubd %s\n", VERSION);
			return (0);
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
	if (check)
		return (master_check(&o));
	return (move ? master_move(&o) : master_main(&o));
}
