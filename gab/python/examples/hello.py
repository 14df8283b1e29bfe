"""Says hello in each membership of port A and prints what everybody says."""
import gab

with gab.Port("A") as port:
    for event in port:
        if isinstance(event, gab.View):
            print("view", event.generation, *sorted(event.members), flush=True)
            port.broadcast(f"hello from {port.node}".encode())
        elif isinstance(event, gab.Deliver):
            print(event.sender, event.data.decode(), flush=True)
