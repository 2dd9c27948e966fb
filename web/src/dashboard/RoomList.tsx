import { Table } from "../parts/Table";
import { text } from "../strings";
import { timeOf } from "./format";
import type { RoomInfo } from "./model";

const WORDS = text.dashboard;
const HEADINGS = [WORDS.room, WORDS.participants, WORDS.viewers, WORDS.tracks, WORDS.since];

/** All rooms of the server. */
export function RoomList({ rooms, chosen, onChoose }: { rooms: readonly RoomInfo[]; chosen: string | null; onChoose: (room: string) => void }) {
  return (
    <section aria-labelledby="rooms">
      <h2 id="rooms">{WORDS.rooms}</h2>
      {rooms.length === 0 ? (
        <p className="status">{WORDS.none}</p>
      ) : (
        <Table
          labelledBy="rooms"
          headings={HEADINGS}
          rows={rooms.map((room) => ({
            key: room.id,
            attributes: { "data-room": room.name },
            chosen: room.name === chosen,
            cells: [
              <button
                key="choose"
                type="button"
                className="plain"
                aria-pressed={room.name === chosen}
                onClick={() => {
                  onChoose(room.name);
                }}
              >
                {room.name}
              </button>,
              room.participants,
              room.viewers,
              room.tracks,
              timeOf(room.created_at),
            ],
          }))}
        />
      )}
    </section>
  );
}
