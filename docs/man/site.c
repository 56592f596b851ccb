/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the manual page nsrun.json.5 to standard output, at build time: the keys come from the options' table. */
#include "roff.h"

#include <nsrun/cli/help.h>
#include <nsrun/cli/site.h>

static const char *type_of(const struct option_row *row)
{
	switch (row->kind) {
	case OPTION_TRISTATE:
		return "true or false";
	case OPTION_LIST:
		return "array of strings";
	case OPTION_OPTIONAL:
		return "string or true";
	case OPTION_STRING:
		return "string or number";
	case OPTION_FLAG:
		break;
	}
	return NULL;
}

static void put_keys(void)
{
	fputs(".SH KEYS\nOptions that are built, and the type of their values in\n.IR defaults :\n", stdout);
	for (size_t i = 0; i < option_rows_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->status != OPTION_BUILT || !type_of(row))
			continue;
		roff_tag(row->name);
		roff_put(type_of(row));
		if (row->argument) {
			fputs(": \\fI", stdout);
			roff_put(row->argument);
			fputs("\\fR", stdout);
		}
		if (site_names_place(row))
			fputs("; names a place of the host", stdout);
		fputs("\n", stdout);
	}
}

static const char description[] =
	".TH NSRUN.JSON 5 \"\" \"nsrun " NSRUN_VERSION "\" \"File Formats\"\n"
	".SH NAME\nnsrun.json \\- default options of nsrun, and forbidden ones\n"
	".SH SYNOPSIS\n.I /etc/nsrun/nsrun.json\n.br\n.I $XDG_CONFIG_HOME/nsrun/nsrun.json\n.br\n.I ~/.config/nsrun/nsrun.json\n"
	".SH DESCRIPTION\n"
	"The first is the host's, the other one the user's own: in\n.I $XDG_CONFIG_HOME\nwhen that is an absolute path, otherwise in\n"
	".IR ~/.config .\nFor root it is always the home directory of\n.BR passwd (5)\n"
	"that counts, since after\n.BR sudo (8)\nthe environment may name that of another user. Both may be missing. They hold for\n"
	".B nsrun\n[\\fIOPTIONS\\fR] \\fIROOTFS\\fR, not for commands.\n"
	".PP\nA file is one JSON object with up to two keys:\n"
	".TP\n\\fBdefaults\\fR\nAn object. Its keys are the long names of options without dashes, its values what the option is to be when "
	"nothing else is said: a string, or a number where digits would stand; true or false for an option that says yes or no; an array "
	"for one that may be repeated.\n"
	".TP\n\\fBforbid\\fR\nAn array of strings,\n.I NAME\nor\n.IR NAME = PATTERN ,\nwhich later layers may not say.\n"
	".PP\nA mistake in a file is an error with its line and column, and nothing is started: an unknown key, a wrong type, a key said "
	"twice, a default that is planned and not built. So is a file that is no regular one, has more than 64 KiB, or that somebody else "
	"could have written: file and directory must belong to root, the user\\(aqs own to that user or root, without write permission for "
	"group and others.\n"
	".SS Layers\n"
	"The host\\(aqs file, the user\\(aqs, the command line. Of an option with one value the last layer that says it counts. Lists add up, "
	"the host\\(aqs entries first; where entries are\n.IR NAME = VALUE\n(\\fBenv\\fR, \\fBulimit\\fR, \\fBsecurity\\-opt\\fR, "
	"\\fBsysctl\\fR, \\fBhugetlb\\fR, \\fBcgroup\\fR) an entry replaces those of the same name from earlier layers. \\fBuserns\\-remap\\fR, \\fBuserns\\fR, "
	"\\fBuid\\-map\\fR and \\fBgid\\-map\\fR are one choice: who says one replaces all.\n"
	".B nsrun \\-\\-dry\\-run\nprints where each value came from, and\n.B \\-\\-spec\nhas it as annotations.\n"
	".SS What is forbidden\n"
	"What a file forbids is looked for in the layers behind it, never in its own defaults. An option that says no is not forbidden by "
	"its\n.IR NAME ;\n\\fBinit=false\\fR forbids to say no.\n.I PATTERN\nis one of\n.BR fnmatch (3)\nand must match the whole value as it "
	"was said, in whatever way the option was spelled, with these exceptions:\n"
	".IP \\(bu 2\nA pattern that begins with \\(lq/\\(rq, of an option that names a place of the host, is compared with that place alone, "
	"component by component: as it was said, and where it leads when links, \\(lq..\\(rq and the working directory are followed. What "
	"lies below it or above it is forbidden too, since a directory shows what is in it. \\fBvolume\\fR and \\fBmount\\fR are the same here. "
	"Any other pattern, such as \\fBvolume=*:idmap=root*\\fR, is compared with the words.\n"
	".IP \\(bu 2\n\\fBROOTFS=\\fR\\fIPATTERN\\fR, beginning with \\(lq/\\(rq, is about the root directory itself.\n"
	".IP \\(bu 2\nCapabilities are compared without CAP_ and in capital letters; to add ALL is to add each of them.\n"
	".IP \\(bu 2\nIn \\fBsecurity\\-opt\\fR \\(lq:\\(rq is \\(lq=\\(rq, and all words for yes and no are true and false.\n"
	".IP \\(bu 2\nOf a limit \\-1 is \\fBunlimited\\fR, and a size is compared as it was said and in bytes: \\fBmemory=1g\\fR forbids "
	"1024m, too.\n"
	".IP \\(bu 2\nA namespace by path (\\fBns:\\fR\\fIPATH\\fR) that is nsrun\\(aqs own or that of process 1 is \\fBhost\\fR.\n"
	".SS What it protects from\n"
	"It is a rule for those who may run nsrun with root\\(aqs rights, as by\n.BR sudo (8),\nand nothing else as root. An ordinary user may run "
	"another program, so for them it is a reminder. It forbids what it names and nothing more: who forbids \\fBprivileged\\fR should "
	"think of \\fBcap\\-add=*\\fR, \\fBsecurity\\-opt=seccomp=*\\fR (a profile of one\\(aqs own may allow all), \\fBdevice\\fR, "
	"\\fBuserns=host\\fR and \\fBtrust\\-rootfs\\fR, and who forbids \\fBnetwork=host\\fR of \\fBnetwork=container:*\\fR. A variable that "
	"\\fBenv=\\fR forbids can come from \\fBenv\\-file\\fR. \\fBvolume=/etc\\fR keeps this "
	"file out of volumes that could be written. Volumes, the root directory and namespaces are compared a second time, as they were opened. "
	"Links to other files, such as that of \\fBenv\\-file\\fR, are followed when the command line is read: who can exchange one at that moment is "
	"faster than this rule, so forbid these options as a whole.\n"
	".PP\n\\fBnsrun exec\\fR has options of the same names, and what is forbidden of them is forbidden there.\n"
	".SH EXAMPLE\n.nf\n.RS 4\n"
	"{\n"
	"  \\(dqdefaults\\(dq: {\n"
	"    \\(dqmemory\\(dq: \\(dq512m\\(dq,\n"
	"    \\(dqcap\\-drop\\(dq: [\\(dqALL\\(dq],\n"
	"    \\(dqinit\\(dq: true,\n"
	"    \\(dqsecurity\\-opt\\(dq: [\\(dqseccomp=docker\\(dq]\n"
	"  },\n"
	"  \\(dqforbid\\(dq: [\\(dqprivileged\\(dq, \\(dquserns=host\\(dq, \\(dqtrust\\-rootfs\\(dq, \\(dqvolume=/var/run/*\\(dq,\n"
	"             \\(dqsecurity\\-opt=seccomp=unconfined\\(dq, \\(dqnetwork=host\\(dq]\n"
	"}\n"
	".RE\n.fi\n";

int main(void)
{
	fputs(description, stdout);
	put_keys();
	fputs(".SH SEE ALSO\n.BR nsrun (1),\n.BR fnmatch (3)\n", stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
