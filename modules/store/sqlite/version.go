package sqlite

import codes "modernc.org/sqlite/lib"

// Version is that of the library, which is part of this program.
const Version = codes.SQLITE_VERSION
