/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/base/err.h>
#include <nsrun/base/strings.h>

#include <stdarg.h>
#include <string.h>

static const struct {
	const char *word;
	const char *remedy;
} err_ids[ERR_ID_COUNT] = {
#define ERR_ID(symbol, text, cure) [ERR_ID_##symbol] = { text, cure },
#include <nsrun/base/err_table.h>
#undef ERR_ID
};

int err_set(struct err *err, enum err_kind kind, enum err_id id, int errnum, const char *fmt, ...)
{
	const int result = errnum > 0 ? -errnum : -EINVAL;

	if (!err || err_is_set(err))
		return result;
	err->kind = kind;
	err->id = id;
	err->errnum = errnum > 0 ? errnum : 0;

	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return result;
}

const char *err_id_word(enum err_id id)
{
	return id > ERR_ID_NONE && id < ERR_ID_COUNT ? err_ids[id].word : NULL;
}

const char *err_id_remedy(enum err_id id)
{
	return id > ERR_ID_NONE && id < ERR_ID_COUNT ? err_ids[id].remedy : NULL;
}

const char *err_format(const struct err *err, char *buf, size_t size)
{
	char message[ERR_MESSAGE_MAX * 4];

	escape_text(err->message, message, sizeof(message));
	/* Only the kernel's own refusals have an errno worth words; in the others it serves as a return value. */
	if (err->kind == ERR_SYSTEM && err->errnum)
		snprintf(buf, size, "%s: %s", message, strerror(err->errnum));
	else
		snprintf(buf, size, "%s", message);
	return buf;
}

int err_exit_status(const struct err *err)
{
	switch (err->kind) {
	case ERR_NOT_FOUND:
		return 127;
	case ERR_NOT_EXECUTABLE:
		return 126;
	default:
		return 125;
	}
}
