# SPDX-License-Identifier: Apache-2.0
# gdb.py — gdb speaks our types. Loaded by .gdbinit; used by `make gdb` and on any core or process.
#
#   print S                 a str prints as its text
#   appliance-log [N]       the last N lines of the log ring (20)
#   appliance-fibers        each fiber in use: name, state, request, where it is parked
#   appliance-fiber NAME    backtrace of a parked fiber
import gdb
import gdb.printing


def text_of(value, limit=200):
    pointer, length = value["ptr"], int(value["len"])
    if not int(pointer):
        return ""
    shown = bytes(gdb.selected_inferior().read_memory(int(pointer), min(length, limit)))
    return shown.decode("utf-8", "backslashreplace") + ("..." if length > limit else "")


class StrPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return 'S("%s") len=%d' % (text_of(self.value), int(self.value["len"]))


printers = gdb.printing.RegexpCollectionPrettyPrinter("openpolicy")
printers.add_printer("str", "^str$", StrPrinter)
gdb.printing.register_pretty_printer(gdb.current_objfile(), printers, replace=True)


def variable(file, name):
    return gdb.parse_and_eval("'%s'::%s" % (file, name))


class Log(gdb.Command):
    """appliance-log [N]: the last N lines of the log ring (20)."""

    def __init__(self):
        super().__init__("appliance-log", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        ring = variable("log.c", "ring")
        slots = ring["index"].type.range()[1] + 1
        newest = int(ring["next"])
        count = int(argument) if argument else 20
        for seq in range(max(int(ring["oldest"]), newest - count), newest):
            record = ring["index"][seq % slots]
            at = int(ring["bytes"].address) + int(record["offset"])
            line = bytes(gdb.selected_inferior().read_memory(at, int(record["length"])))
            print(line.decode("utf-8", "backslashreplace"))


def fibers():
    pool = variable("fiber.c", "boot_pool")
    for i in range(int(pool["capacity"])):
        fiber = pool["all"][i]
        if str(fiber["state"]) not in ("FIBER_FREE", "0"):
            yield fiber


class Fibers(gdb.Command):
    """appliance-fibers: each fiber in use: name, state, request, address of its saved stack."""

    def __init__(self):
        super().__init__("appliance-fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for fiber in fibers():
            name = fiber["name"].string() if int(fiber["name"]) else "?"
            print("%-20s %-14s sp=%#x %s" % (name, fiber["state"], int(fiber["sp"]), text_of(fiber["request_id"])))


class Fiber(gdb.Command):
    """appliance-fiber NAME: return addresses on the stack of the first parked fiber of that name."""

    def __init__(self):
        super().__init__("appliance-fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        word = gdb.lookup_type("unsigned long").pointer()
        for fiber in fibers():
            if not int(fiber["name"]) or fiber["name"].string() != argument:
                continue
            sp = gdb.Value(int(fiber["sp"])).cast(word)
            for i in range(512):
                try:
                    value = int(sp[i])
                except gdb.MemoryError:
                    return
                block = gdb.block_for_pc(value)
                if block and block.function:
                    print("  %#x %s" % (value, block.function))
            return
        print("no fiber %s is in use" % argument)


Log()
Fibers()
Fiber()
