/* commands.def as a table, for hubctl and billing alike. */
#include <string.h>

#include "hubd/ctlproto.h"

#define ARG(place, word, name, type) \
	{CTL_##place, #word, #name, CTL_##type, NULL},
#define POSITION(name, type) ARG(POSITION, name, name, type)
#define MAYBE(name, type)    ARG(MAYBE, name, name, type)
#define KEYWORD(name, type)  ARG(KEYWORD, name, name, type)
#define NEEDED(name, type)   ARG(NEEDED, name, name, type)
#define AS(word, name, type) ARG(KEYWORD, word, name, type)
#define FLAG(name)	     ARG(KEYWORD, name, name, FLAG)
#define WORD(name, words)    {CTL_KEYWORD, #name, #name, CTL_WORD, words},

const struct ctl_command ctl_commands[] = {
#define COMMAND(id, words, who, usage, ...) \
	{CTL_CMD_##id, words, CTL_##who, usage, {__VA_ARGS__}},
#include "hubd/commands.def"
#undef COMMAND
};

const struct ctl_command *
ctl_command_find(const char *words)
{
	size_t i;

	for (i = 0; i < CTL_COMMANDS; i++)
		if (strcmp(ctl_commands[i].words, words) == 0)
			return (&ctl_commands[i]);
	return (NULL);
}
