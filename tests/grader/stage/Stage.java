package grader.stage;

import grader.build.Build;
import grader.repo.Trouble;
import java.nio.file.Path;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import shared.Graded;
import shared.cable.Cable;

/// What a requirement finds: the submission as one node or several, and what stands around them.
/// Each member has a name; it begins when it is first asked for, and all end together.
public final class Stage implements AutoCloseable {
    /// The node that most requirements talk to.
    public static final String A = "a";

    private static final int LOOK_NANOS = 200_000;
    private static final int SEVERAL = 4;

    /// Something with a port.
    public interface Member extends AutoCloseable {
        int port();

        @Override
        void close();
    }

    private final Build build;
    private final Path folder;
    private final Pauses pauses = new Pauses();
    private final Map<String, Member> members = new LinkedHashMap<>();
    private final Map<String, Map<String, String>> settings = new LinkedHashMap<>();
    private long ends = Long.MAX_VALUE;
    private String disorder;
    private boolean hasStarted;
    private Trouble trouble;

    /// @param folder in which the nodes run, made where it is not there; they share it, and keep it
    ///        over a restart
    public Stage(Build build, Path folder) {
        this.build = build;
        this.folder = folder;
        folder.toFile().mkdirs();
    }

    /// After so many milliseconds there is no [#node] any more, so nothing more is checked.
    public void limit(int ms) {
        ends = System.nanoTime() + ms * 1_000_000L;
    }

    /// A running node, started anew where it has ended or does not answer any more.
    ///
    /// @throws Trouble where it cannot be started, or the time is up
    public Node node(String name) {
        if (System.nanoTime() > ends) {
            throw new Trouble("The time for this exercise is up.");
        }
        if (members.get(name) instanceof Node node && node.isUsable()) return node;
        return start(name, settings.getOrDefault(name, Map.of()));
    }

    /// A running node with these settings, started anew where it has others.
    public Node node(String name, Map<String, String> settings) {
        return settings.equals(this.settings.get(name)) ? node(name)
                : start(name, settings);
    }

    /// Starts a node, anew where it runs already; another port, the same folder.
    ///
    /// @param settings environment variables; they hold for its later starts, too
    public Node start(String name, Map<String, String> settings) {
        end(name);
        this.settings.put(name, settings);
        Map<String, String> all = new LinkedHashMap<>(settings);
        all.put(Graded.PAUSES, "" + pauses.port());
        all.putIfAbsent("DATA", folder.toString());
        Node node = ready(all);
        members.put(name, node);
        for (Member each : members.values()) {
            if (each instanceof CableTo one && one.to.equals(name)) {
                one.cable.target(node.port());
            }
        }
        return node;
    }

    /// A submission that could not be started at first is not tried again.
    private Node ready(Map<String, String> settings) {
        if (trouble != null) throw trouble;
        try {
            Node node = Node.start(build, folder, settings);
            hasStarted = true;
            return node;
        } catch (Trouble e) {
            if (!hasStarted) trouble = e;
            throw e;
        }
    }

    /// Has a node been ready, ever?
    public boolean hasStarted() {
        return hasStarted;
    }

    /// The first node as it was started last, whatever has become of it; or null.
    public Node first() {
        return (Node) members.get(A);
    }

    /// A cable before a node: another address at which it can be reached, which stays when the node
    /// is started anew, and which freezes, cuts, throttles.
    public Cable cable(String node) {
        String name = "cable to " + node;
        Cable cable = ((CableTo) members.computeIfAbsent(name,
                it -> new CableTo(node))).cable;
        cable.target(node(node).port());
        return cable;
    }

    /// A server that the grader plays.
    public Upstream upstream() {
        return (Upstream) members.computeIfAbsent("upstream", name -> new Upstream());
    }

    private static final class CableTo implements Member {
        final String to;
        final Cable cable;

        CableTo(String to) {
            this.to = to;
            try {
                cable = new Cable();
            } catch (IOException e) {
                throw Reception.cannotListen(e);
            }
        }

        @Override
        public int port() {
            return cable.port();
        }

        @Override
        public void close() {
            cable.close();
        }
    }

    /// Ends a member, a node by SIGKILL, if it is there.
    public void end(String name) {
        Member member = members.remove(name);
        if (member == null) return;
        if (member instanceof Node node) note(node);
        member.close();
    }

    /// A check of the first node has not come to its end: the next one gets it anew.
    ///
    /// @return the cause, if the node tells of one, else what is supposed
    public String tookTooLong(String supposed) {
        if (!(members.get(A) instanceof Node node)) return supposed;
        node.spoil();
        return node.cause("nothing", supposed);
    }

    /// From now on the `nth` thread is held, of whichever node, that comes to one of these places.
    public Meeting meeting(int nth, String... places) {
        return new Meeting(pauses, nth, places);
    }

    /// The number that a thread has told last at a place; it is forgotten then.
    ///
    /// @return null where none has
    public Long told(String place) {
        return pauses.number(place);
    }

    /// Lets every thread go on that is held: no meeting outlasts its requirement.
    public void letGo() {
        pauses.reset();
    }

    /// Why the grading takes long, or null.
    public String slowness() {
        int times = pauses.timesUnseen();
        return times < SEVERAL ? null : "Your threads waited for each other " + times
                + " times in a way that does not show, and the grader waited to make sure."
                + " Waits for `synchronized`, a ReentrantLock or the like show at once.";
    }

    /// Waits until it is so, and returns whether it is.
    ///
    /// @param ms at most
    public static boolean until(int ms, BooleanSupplier so) {
        long ends = System.nanoTime() + ms * 1_000_000L;
        boolean isSo = so.getAsBoolean();
        while (!isSo && System.nanoTime() < ends) {
            LockSupport.parkNanos(LOOK_NANOS);
            isSo = so.getAsBoolean();
        }
        return isSo;
    }

    /// What keeps the whole result from counting, or null.
    public String disorder() {
        if (trouble != null) return trouble.getMessage();
        for (Member each : members.values()) if (each instanceof Node node) note(node);
        return disorder;
    }

    private void note(Node node) {
        if (disorder == null) disorder = node.disorder();
    }

    @Override
    public void close() {
        members.values().forEach(Member::close);
        pauses.close();
    }
}
