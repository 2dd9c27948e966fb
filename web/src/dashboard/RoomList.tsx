import { text } from "../strings";
import { timeOf } from "./format";
import type { RoomInfo } from "./model";

const WORDS = text.dashboard;

/** All rooms of the server. */
export function RoomList({ rooms, chosen, onChoose }: { rooms: readonly RoomInfo[]; chosen: string | null; onChoose: (room: string) => void }) {
  return (
    <section aria-labelledby="rooms">
      <h2 id="rooms">{WORDS.rooms}</h2>
      {rooms.length === 0 ? (
        <p className="status">{WORDS.none}</p>
      ) : (
        <div className="scroll" tabIndex={0} role="group" aria-labelledby="rooms">
          <table>
            <thead>
              <tr>
                <th scope="col">{WORDS.room}</th>
                <th scope="col">{WORDS.participants}</th>
                <th scope="col">{WORDS.viewers}</th>
                <th scope="col">{WORDS.tracks}</th>
                <th scope="col">{WORDS.since}</th>
              </tr>
            </thead>
            <tbody>
              {rooms.map((room) => (
                <tr key={room.id} data-room={room.name} className={room.name === chosen ? "chosen" : ""}>
                  <td>
                    <button
                      type="button"
                      className="plain"
                      aria-pressed={room.name === chosen}
                      onClick={() => {
                        onChoose(room.name);
                      }}
                    >
                      {room.name}
                    </button>
                  </td>
                  <td>{room.participants}</td>
                  <td>{room.viewers}</td>
                  <td>{room.tracks}</td>
                  <td>{timeOf(room.created_at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
