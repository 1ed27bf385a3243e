#include "csimdjson.h"

#include <simdjson.h>

bool csimdjson_is_utf8(const void *bytes, size_t count) {
    return count == 0 || simdjson::validate_utf8(static_cast<const char *>(bytes), count);
}
