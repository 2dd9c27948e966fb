import { useEffect, useState } from "react";
import { sayError } from "../api";
import { text } from "../strings";
import { OFF } from "./choices";

export interface Devices {
  readonly list: readonly MediaDeviceInfo[];
  readonly stream: MediaStream | null;
  readonly problem: string;
}

/** Opens the chosen camera and microphone for a preview, and lists what there is; closes them when done. */
export function useDevices(camera: string, microphone: string): Devices {
  const [list, setList] = useState<readonly MediaDeviceInfo[]>([]);
  const [stream, setStream] = useState<MediaStream | null>(null);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    let opened: MediaStream | null = null;
    let current = true;
    const isCurrent = () => current;
    const open = async () => {
      try {
        const made = await openDevices(camera, microphone);
        opened = made;
        if (!isCurrent()) {
          stop(made);
          return;
        }
        setStream(made);
        setProblem("");
      } catch (error) {
        if (!isCurrent()) return;
        setStream(null);
        const denied = error instanceof DOMException && error.name === "NotAllowedError";
        setProblem(denied ? text.lobby.devicesDenied : text.lobby.devicesFailed(sayError(error)));
      }
      // Names are known only once something was allowed.
      const found = await listDevices();
      if (isCurrent()) setList(found);
    };
    void open();
    return () => {
      current = false;
      stop(opened);
    };
  }, [camera, microphone]);

  return { list, stream, problem };
}

function stop(stream: MediaStream | null): void {
  stream?.getTracks().forEach((track) => {
    track.stop();
  });
}

// Pages that came by plain HTTP from elsewhere have none, whatever the types say.
const media = (): MediaDevices | undefined => navigator.mediaDevices;

async function openDevices(camera: string, microphone: string): Promise<MediaStream> {
  const wanted = (id: string, more: MediaTrackConstraints) =>
    id === OFF ? false : id === "" ? more : { ...more, deviceId: { ideal: id } };
  const video = wanted(camera, { width: 1280, height: 720 });
  const audio = wanted(microphone, {});
  if (video === false && audio === false) return new MediaStream();
  const devices = media();
  if (devices === undefined) throw new Error("pages get no devices but over HTTPS");
  return devices.getUserMedia({ video, audio });
}

async function listDevices(): Promise<MediaDeviceInfo[]> {
  const found = (await media()?.enumerateDevices()) ?? [];
  return found.filter(({ deviceId }) => deviceId !== "");
}
