/* mqtt_directory: who may connect under which name, what is handed on, what the disk keeps. A loop of one
 * thread. */
#include "daemon/ingest/mqtt/mqtt_directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/ingest/mqtt/mqtt_packet.h"
#include "tests/unit/unit.h"

struct world {
    struct mqtt_directory *directory;
    struct cipher_keys keys;
    struct wakeup bell;
    struct post_box home;
    struct letter *waiting;
    char path[64];
};

static void open_directory(struct world *world)
{
    CU_ASSERT_EQUAL_FATAL(mqtt_directory_start(world->path, &world->keys, &world->directory), OK);
}

static void open_world(struct world *world)
{
    static const uint8_t master[CIPHER_KEY_BYTES] = {1, 2, 3};
    memset(world, 0, sizeof(*world));
    snprintf(world->path, sizeof(world->path), "/tmp/vigie-mqtt-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(world->path));
    CU_ASSERT_EQUAL_FATAL(cipher_keys_add(&world->keys, master), OK);
    CU_ASSERT_EQUAL_FATAL(wakeup_open(&world->bell), OK);
    world->home.bell = &world->bell;
    open_directory(world);
}

static void close_world(struct world *world)
{
    char file[96];
    mqtt_directory_stop(world->directory);
    snprintf(file, sizeof(file), "%s/mqtt-sessions", world->path);
    unlink(file);
    rmdir(world->path);
    wakeup_close(&world->bell);
}

/* The next letter that comes home, NULL after a while without. */
static struct letter *next_letter(struct world *world, int64_t wait_ms)
{
    if (world->waiting == NULL)
        world->waiting = post_take(&world->home);
    for (int64_t until = clock_monotonic_ms() + wait_ms;
         world->waiting == NULL && clock_monotonic_ms() < until;) {
        wakeup_wait(&world->bell, 20);
        world->waiting = post_take(&world->home);
    }
    struct letter *letter = world->waiting;
    if (letter != NULL)
        world->waiting = letter->next;
    return letter;
}

static void expect(struct world *world, struct letter *letter, enum mqtt_letter kind)
{
    struct letter *found = next_letter(world, 5000);
    CU_ASSERT_PTR_EQUAL_FATAL(found, letter);
    CU_ASSERT_EQUAL(found->kind, kind);
}

static void send_attach(struct world *world, struct mqtt_place *place, int64_t source_id, const char *client)
{
    place->home = &world->home;
    place->source_id = source_id;
    place->client_size = (uint8_t)strlen(client);
    memcpy(place->client, client, place->client_size);
    mqtt_directory_attach(world->directory, place);
}

static struct mqtt_place *attach(struct world *world, const char *client, uint32_t expiry_s, bool clean,
                                 bool present)
{
    struct mqtt_place *place = calloc(1, sizeof(*place));
    place->expiry_s = expiry_s;
    place->clean = clean;
    send_attach(world, place, 1, client);
    expect(world, &place->letter, MQTT_LETTER_ATTACHED);
    CU_ASSERT_EQUAL(place->refusal, MQTT_SUCCESS);
    CU_ASSERT_EQUAL(place->present, present);
    return place;
}

static void detach(struct world *world, struct mqtt_place *place)
{
    mqtt_directory_detach(world->directory, place);
    expect(world, &place->letter, MQTT_LETTER_DETACHED);
    free(place);
}

static void test_sessions(void)
{
    struct world world;
    open_world(&world);
    struct mqtt_place *place = attach(&world, "a", 60, false, false);
    place->state.releases = 1;
    place->state.release[0] = 77;
    detach(&world, place);
    place = attach(&world, "a", 60, false, true);
    CU_ASSERT(place->state.releases == 1 && place->state.release[0] == 77);
    detach(&world, place);
    place = attach(&world, "a", 0, true, false);
    CU_ASSERT_EQUAL(place->state.releases, 0);
    detach(&world, place);
    detach(&world, attach(&world, "a", 0, false, false));
    CU_ASSERT_EQUAL(mqtt_directory_sessions(world.directory), 0);
    close_world(&world);
}

/* The second waits until the first has handed over; a third sends the second away. */
static void test_take_over(void)
{
    struct world world;
    struct mqtt_place second = {.expiry_s = 60}, third = {.expiry_s = 60}, other = {.expiry_s = 60};
    open_world(&world);
    struct mqtt_place *first = attach(&world, "a", 60, false, false);
    send_attach(&world, &second, 1, "a");
    expect(&world, &first->notice, MQTT_LETTER_TAKEN_OVER);
    CU_ASSERT_PTR_NULL(next_letter(&world, 50));
    send_attach(&world, &other, 2, "a"); /* another source's: another client */
    expect(&world, &other.letter, MQTT_LETTER_ATTACHED);
    CU_ASSERT_FALSE(other.present);
    send_attach(&world, &third, 1, "a");
    expect(&world, &second.letter, MQTT_LETTER_ATTACHED);
    CU_ASSERT_EQUAL(second.refusal, MQTT_TAKEN_OVER);
    first->state.subscriptions = 1;
    first->state.subscription[0] = 5;
    mqtt_directory_detach(world.directory, first);
    expect(&world, &first->letter, MQTT_LETTER_DETACHED);
    expect(&world, &third.letter, MQTT_LETTER_ATTACHED);
    CU_ASSERT(third.present && third.state.subscriptions == 1 && third.state.subscription[0] == 5);
    free(first);
    mqtt_directory_detach(world.directory, &third);
    expect(&world, &third.letter, MQTT_LETTER_DETACHED);
    mqtt_directory_detach(world.directory, &other);
    expect(&world, &other.letter, MQTT_LETTER_DETACHED);
    close_world(&world);
}

/* Hundreds of sources whose clients have one name: some of them share a bucket of the table. */
static void test_one_name_of_many_sources(void)
{
    enum { SOURCES = 400 };
    static struct mqtt_place places[SOURCES];
    struct world world;
    open_world(&world);
    for (int i = 0; i < SOURCES; i++) {
        places[i] = (struct mqtt_place){.expiry_s = 0};
        send_attach(&world, &places[i], i + 1, "bridge");
        expect(&world, &places[i].letter, MQTT_LETTER_ATTACHED);
    }
    CU_ASSERT_EQUAL(mqtt_directory_sessions(world.directory), SOURCES);
    for (int i = 0; i < SOURCES; i++) {
        mqtt_directory_detach(world.directory, &places[i]);
        expect(&world, &places[i].letter, MQTT_LETTER_DETACHED);
    }
    CU_ASSERT_EQUAL(mqtt_directory_sessions(world.directory), 0);
    close_world(&world);
}

static void test_restart(void)
{
    struct world world;
    open_world(&world);
    struct mqtt_place *gone = attach(&world, "gone", 60, false, false);
    gone->state.subscriptions = 1;
    gone->state.releases = 1;
    detach(&world, gone);
    struct mqtt_place *connected = attach(&world, "connected", 60, false, false);
    detach(&world, attach(&world, "short", 0, false, false));
    mqtt_directory_stop(world.directory);
    open_directory(&world);
    gone = attach(&world, "gone", 60, false, true);
    CU_ASSERT(gone->state.subscriptions == 1 && gone->state.releases == 0);
    detach(&world, gone);
    free(connected);
    detach(&world, attach(&world, "connected", 60, false, true));
    detach(&world, attach(&world, "short", 60, false, false));
    close_world(&world);
}

static void test_expiry(void)
{
    struct world world;
    open_world(&world);
    detach(&world, attach(&world, "a", 1, false, false));
    detach(&world, attach(&world, "a", 1, false, true));
    clock_sleep_ms(1100);
    detach(&world, attach(&world, "a", 1, false, false));
    close_world(&world);
}

SUITE(mqtt_directory) = {
    {"sessions begin, go on and end", test_sessions},
    {"who comes again takes over", test_take_over},
    {"one name of many sources", test_one_name_of_many_sources},
    {"what a restart finds", test_restart},
    {"a session ends in time", test_expiry},
    {NULL, NULL},
};
