# Takes docs/monitor-guide.md apart, into the directory `dir`: the C blocks as NAME.c, which their first
# line names; after each its output, NAME.out; the configuration, mos.conf; the commands, commands.
/^```/ {
    if (inside) {
        inside = 0
        if (file)
            close(file)
        next
    }
    inside = 1
    first = 1
    kind = substr($0, 4)
    file = ""
    if (kind == "conf")
        file = dir "/mos.conf"
    else if (kind == "sh")
        file = dir "/commands"
    else if (kind == "text")
        file = dir "/" name ".out"
    next
}
inside && first && kind == "c" {
    name = $2
    sub(/\.c:$/, "", name)
    file = dir "/" name ".c"
}
inside && file {
    first = 0
    print >file
}
